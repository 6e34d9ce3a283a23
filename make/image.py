#!/usr/bin/env python3
"""Makes container images of Kvasir without a registry and without docker.

  make/image.py                 the image for production: the program, the libraries that it loads, CA certificates
  make/image.py --docs          one more layer for following tutorials: bash, curl, netstat, ps, python3 and their like,
                                and the commands of vLLM and Dynamo, which start programs of ours (image_names.tsv)
  make/image.py --docs --pip aiperf    the same with Python packages in /opt/dynamo/venv, which takes a network

Everything is taken from the Debian packages of this machine. The same packages and the same program give the same bytes.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import oci_image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
USER = 65532  # as distroless images have it
NAMES = HERE / "image_names.tsv"

# What the tutorials call inside pods, and what those need that ldd does not tell.
DOCS_PACKAGES = """bash dash coreutils grep sed mawk findutils tar gzip hostname procps net-tools curl jq ncurses-base libc-bin
  python3 python3-minimal python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib""".split()
NEEDED_HERE = [*DOCS_PACKAGES, "python3-venv"]
LEFT_OUT = re.compile(r"^usr/(share/(doc|man|info|locale|lintian|bash-completion|bug|menu|applications|pixmaps|icons)|lib/mime)/|/__pycache__/|\.a$")
VENV = "opt/dynamo/venv"


def fail(message):
    sys.exit(f"make/image.py: {message}")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def merged(path):
    """Debian's folders /bin, /lib, ... are links into /usr: the path without them and without its first slash."""
    path = str(path).lstrip("/")
    return path if not re.match(r"(bin|sbin|lib|lib32|lib64|libx32)/", path) else "usr/" + path


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(programs, bundled=()):
    """SONAME path in the image -> file here, of everything that the programs load. `bundled`: file names of those that come
    with the programs; ldd misses such a one where only the program that loads both says in which folder it is."""
    found = {}
    for program in programs:
        listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
        if "not a dynamic executable" in listed.stderr + listed.stdout or "statically linked" in listed.stdout:
            continue
        for line in listed.stdout.splitlines():
            if "not found" in line:
                if line.split()[0] in bundled:
                    continue
                fail(f"{program}: {line.strip()}")
            match = re.search(r"(?:=> )?(/\S+) \(0x", line)
            if match:
                found[merged(match[1])] = pathlib.Path(match[1]).resolve()
    return found


def packages_of(files):
    """The Debian packages that own these files, with their versions."""
    owners = set()
    for file in files:
        for spelling in (str(file), str(file).removeprefix("/usr")):
            owner = subprocess.run(["dpkg-query", "-S", spelling], capture_output=True, text=True)
            if owner.returncode == 0:
                owners.add(owner.stdout.split(": ")[0].split(",")[0])
                break
        else:
            fail(f"{file} belongs to no Debian package: only those may be in an image")
    return sorted(output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *sorted(owners)).splitlines())


def add_licences(layer, packages):
    for package in packages:
        copyright_file = pathlib.Path("/usr/share/doc", package.split()[0], "copyright")
        if copyright_file.exists():
            layer.file(f"usr/share/doc/{package.split()[0]}/copyright", copyright_file.resolve(), 0o644)


def certificates():
    """Those of Debian's package, not what else this machine trusts."""
    listed = output_of("dpkg-query", "-L", "ca-certificates").split("\n")
    files = sorted(path for path in listed if path.startswith("/usr/share/ca-certificates/") and path.endswith(".crt"))
    return "".join(pathlib.Path(path).read_text() for path in files), len(files)


def base_layer(kvasir):
    layer = oci_image.Layer("Debian 12 libraries and CA certificates")
    for name in ("bin", "sbin", "lib", "lib64"):
        layer.link(name, "usr/" + name)
        layer.folder("usr/" + name)
    loaded = libraries([kvasir])
    for path, file in loaded.items():
        layer.file(path, file, 0o755)
    text, _ = certificates()
    layer.text("etc/ssl/certs/ca-certificates.crt", text)
    layer.link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")
    layer.link("usr/lib/ssl/certs", "/etc/ssl/certs")
    layer.text("etc/passwd", f"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
                             f"nonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/sbin/nologin\n")
    layer.text("etc/group", f"root:x:0:\nnogroup:x:65534:\nnonroot:x:{USER}:\n")
    layer.text("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    layer.file("etc/os-release", pathlib.Path("/usr/lib/os-release"), 0o644)
    layer.folder("home/nonroot", 0o700, USER)
    layer.folder("tmp", 0o1777)
    for folder in ("dev", "proc", "sys", "run", "var/run"):
        layer.folder(folder)
    packages = packages_of([*loaded.values(), "/usr/share/ca-certificates/mozilla"])
    add_licences(layer, packages)
    layer.text("usr/share/doc/kvasir/packages", "\n".join(packages) + "\n")
    return layer


def program_layer(kvasir):
    layer = oci_image.Layer("kvasir")
    layer.file("usr/bin/kvasir", kvasir, 0o755)
    return layer


def add_package(layer, package):
    """The files of an installed package; the ELF files among them."""
    programs = []
    for name in output_of("dpkg-query", "-L", package).splitlines():
        source, path = pathlib.Path(name), merged(name)
        if LEFT_OUT.search(path) or not (source.is_symlink() or source.is_file()):
            continue
        if source.is_symlink():
            target = str(source.readlink())
            layer.link(path, target)
            continue
        layer.file(path, source)
        if is_elf(source):
            programs.append(source)
    return programs


def add_venv(layer, packages):
    """/opt/dynamo/venv: made elsewhere, and moved by changing its own path where its scripts name it."""
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder).resolve() / "venv"
        subprocess.run([sys.executable if sys.prefix == sys.base_prefix else "/usr/bin/python3", "-m", "venv", str(made)], check=True)
        if packages:
            subprocess.run([str(made / "bin/pip"), "install", "-q", "--no-compile", *packages], check=True)
        programs = []
        for source in sorted(made.rglob("*")):
            path = f"{VENV}/{source.relative_to(made)}"
            if source.is_symlink():
                layer.link(path, str(source.readlink()), USER)
            elif source.is_file() and "__pycache__" not in source.parts:
                if is_elf(source):
                    programs.append(source)
                data = source.read_bytes()
                if source.parent == made / "bin" or source.name == "pyvenv.cfg":
                    data = data.replace(str(made).encode(), b"/" + VENV.encode())
                if source.name == "RECORD":  # pip wrote the sums of scripts with their old paths
                    data = b"".join(line for line in data.splitlines(True) if not line.startswith(b"../../../bin/"))
                layer.text(path, data, 0o755 if source.stat().st_mode & 0o100 else 0o644, USER)
        outside = {path: file for path, file in libraries(programs, {program.name for program in programs}).items()
                   if made not in file.parents}
    layer.link(f"{VENV}/bin/python3", "/usr/bin/python3", USER)
    return outside


def docs_layer(pip, base):
    layer = oci_image.Layer("tools and commands of the tutorials")
    missing = [package for package in NEEDED_HERE if subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True).stdout != "installed"]
    if missing:
        fail("not installed here: apt-get install --no-install-recommends " + " ".join(missing))
    programs = [program for package in DOCS_PACKAGES for program in add_package(layer, package)]
    loaded = libraries(programs)
    loaded.update(add_venv(layer, pip))
    for path, file in loaded.items():
        if path not in base.entries:
            layer.file(path, file, 0o755)
    layer.file("etc/profile", pathlib.Path("/etc/profile"), 0o644)
    layer.link("usr/bin/sh", "dash")
    layer.link("usr/bin/awk", "mawk")
    layer.link("usr/bin/python", "python3")
    for source in sorted((HERE / "image_docs/bin").iterdir()):
        layer.file(f"usr/local/bin/{source.name}", source, 0o755)
    for source in sorted((HERE / "image_docs/python").rglob("*.py")):
        module = source.relative_to(HERE / "image_docs/python")
        for packages in ("usr/lib/python3/dist-packages", f"{VENV}/lib/python3.11/site-packages"):
            layer.file(f"{packages}/{module}", source, 0o644)
    layer.folder("workspace/examples/backends/vllm", owner=USER)
    layer.text("usr/share/doc/kvasir/image_names.tsv", NAMES.read_text())
    packages = packages_of(loaded.values())
    packages = sorted({*packages, *output_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *DOCS_PACKAGES).splitlines()})
    add_licences(layer, packages)
    layer.text("usr/share/doc/kvasir/packages_docs", "\n".join(packages) + "\n")
    return layer


def docs_images(version, tutorial_names):
    """Name -> entrypoint: the table's images of ours, each once; with the tutorials' names too, when they are wanted."""
    images = {}
    for line in NAMES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        theirs, ours, entrypoint, _ = line.split("\t")
        if ours != "-":
            for name in [f"{ours}:{version}"] + [full_name(theirs)] * tutorial_names:
                images[name] = [] if entrypoint == "-" else entrypoint.split()
    return images


def full_name(image):
    """vllm/vllm-openai is docker.io/vllm/vllm-openai to a node."""
    return image if "." in image.split("/")[0] else "docker.io/" + image


def print_layer(layer, descriptor, long):
    print(f"  layer {layer.title}: {layer.size() / 1e6:.1f} MB, {descriptor['size'] / 1e6:.1f} MB packed, "
          f"{len(layer.entries)} entries")
    files = {path: entry for path, entry in layer.entries.items() if not entry.folder and "/share/doc/" not in path}
    shown = sorted(files, key=lambda path: (-files[path].size(), path)) if not long else sorted(files)
    for path in shown if long else shown[:40]:
        entry = files[path]
        print(f"    {entry.size():>10}  /{path}" + (f" -> {entry.link}" if entry.link else ""))
    if not long and len(shown) > 40:
        print(f"                and {len(shown) - 40} smaller ones (--list shows all)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/kvasir")
    parser.add_argument("--docs", action="store_true", help="the variant for tutorials")
    parser.add_argument("--pip", action="append", default=[], metavar="PACKAGE", help="into /opt/dynamo/venv, with --docs")
    parser.add_argument("--tutorial-names", action="store_true",
                        help="with --docs: the images have the tutorials' own names, too; for nodes that are only tried on")
    parser.add_argument("--output", type=pathlib.Path, help="default: build/image/kvasir.tar or kvasir-docs.tar")
    parser.add_argument("--list", action="store_true", help="print every file")
    args = parser.parse_args()
    if args.pip and not args.docs:
        fail("--pip: only with --docs")
    if not args.binary.exists():
        fail(f"{args.binary} is not there: make build")
    if not shutil.which("dpkg-query"):
        fail("this is no Debian: images are made of its packages")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(output_of("uname", "-m").strip())
    if architecture is None:
        fail("only amd64 and arm64 are known")
    version = output_of(str(args.binary), "--version").split()[-1]
    archive = oci_image.Archive(architecture)
    config = {"User": f"{USER}:{USER}", "WorkingDir": "/", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
              "Labels": {"org.opencontainers.image.title": "kvasir", "org.opencontainers.image.version": version}}
    layers = [base_layer(args.binary), program_layer(args.binary)]
    # The second is for manifests that give a picker's image flags and no command.
    images = {f"localhost/kvasir:{version}": ["/usr/bin/kvasir"], f"localhost/kvasir-epp:{version}": ["/usr/bin/kvasir", "epp"]}
    if args.docs:
        layers.insert(1, docs_layer(args.pip, layers[0]))
        images = docs_images(version, args.tutorial_names)
    for name, entrypoint in images.items():
        packed = archive.add(name, layers, config | ({"Entrypoint": entrypoint} if entrypoint else {"Cmd": ["/bin/bash"]}))
    output = args.output or ROOT / ("build/image/kvasir-docs.tar" if args.docs else "build/image/kvasir.tar")
    archive.write(output)
    for name, entrypoint in images.items():
        print(f"{name}: {' '.join(entrypoint) or '(no entrypoint)'}")
    for layer, descriptor in zip(layers, packed):
        print_layer(layer, descriptor, args.list)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, unpacked {sum(layer.size() for layer in layers) / 1e6:.1f} MB")
    print(f"sha256 {oci_image.sha256(output.read_bytes())}")


if __name__ == "__main__":
    main()
