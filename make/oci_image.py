"""Writes container images without a container tool: layers from a tree of entries, and one tar that is an OCI layout and a
docker archive at once, so that `docker load`, `podman load`, `ctr images import` and `skopeo copy oci-archive:` take it.

The same entries give the same bytes: entries are sorted, times are 0, owners are numbers.
"""
import dataclasses
import gzip
import hashlib
import io
import json
import pathlib
import stat
import tarfile

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclasses.dataclass
class Entry:
    """One path of a layer: a folder, a link or a file, whichever is set. Files hold bytes or name a file to read."""

    mode: int = 0o755
    folder: bool = False
    link: str = ""
    text: bytes | None = None
    file: pathlib.Path | None = None
    owner: int = 0

    def size(self):
        return len(self.text) if self.text is not None else self.file.stat().st_size if self.file else 0


class Layer:
    """Paths (without a leading slash) and what is there. Folders above a path are made by themselves."""

    def __init__(self, title):
        self.title = title
        self.entries = {}

    def folder(self, path, mode=0o755, owner=0):
        self._put(path, Entry(mode, folder=True, owner=owner))

    def link(self, path, target, owner=0):
        self._put(path, Entry(0o777, link=target, owner=owner))

    def text(self, path, text, mode=0o644, owner=0):
        self._put(path, Entry(mode, text=text.encode() if isinstance(text, str) else text, owner=owner))

    def file(self, path, source, mode=None, owner=0):
        source = pathlib.Path(source)
        executable = source.stat().st_mode & stat.S_IXUSR
        self._put(path, Entry(mode or (0o755 if executable else 0o644), file=source, owner=owner))

    def _put(self, path, entry):
        path = path.strip("/")
        for above in reversed(pathlib.PurePosixPath(path).parents):
            if str(above) != ".":
                self.entries.setdefault(str(above), Entry(folder=True, owner=entry.owner))
        if not entry.folder or path not in self.entries or self.entries[path].folder:
            self.entries[path] = entry

    def size(self):
        return sum(entry.size() for entry in self.entries.values())

    def tar(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self.entries):
                entry = self.entries[path]
                info = tarfile.TarInfo(path)
                info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.owner, entry.owner, 0
                if entry.folder:
                    info.type = tarfile.DIRTYPE
                    tar.addfile(info)
                elif entry.link:
                    info.type, info.linkname = tarfile.SYMTYPE, entry.link
                    tar.addfile(info)
                else:
                    data = entry.text if entry.text is not None else entry.file.read_bytes()
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
        return buffer.getvalue()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def compressed(data):
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as packed:
        packed.write(data)
    return buffer.getvalue()


class Archive:
    """Images that share blobs, in one tar."""

    def __init__(self, architecture):
        self.architecture = architecture
        self.blobs = {}
        self.manifests = []
        self.docker = []
        self._packed = {}  # layer -> (diff id, descriptor): a layer that several images share is packed once

    def _blob(self, data, media_type):
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": "sha256:" + sha256(data), "size": len(data)}

    def _pack(self, layer):
        if layer not in self._packed:
            tar = layer.tar()
            self._packed[layer] = ("sha256:" + sha256(tar), self._blob(compressed(tar), LAYER))
        return self._packed[layer]

    def add(self, name, layers, config):
        """`name`: with registry and tag, such as localhost/kvasir:1. `config`: Entrypoint, Env, User, ..."""
        packed = [self._pack(layer) for layer in layers]
        config_blob = self._blob(as_json({
            "architecture": self.architecture, "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in packed]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": layer.title} for layer in layers]}), CONFIG)
        manifest = self._blob(as_json({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config_blob,
            "layers": [descriptor for _, descriptor in packed]}), MANIFEST)
        self.manifests.append({
            **manifest, "platform": {"architecture": self.architecture, "os": "linux"},
            "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}})
        self.docker.append({
            "Config": self._path(config_blob), "RepoTags": [name],
            "Layers": [self._path(descriptor) for _, descriptor in packed]})
        return [descriptor for _, descriptor in packed]

    @staticmethod
    def _path(descriptor):
        return "blobs/sha256/" + descriptor["digest"].split(":")[1]

    def write(self, path):
        files = {"blobs/sha256/" + digest: data for digest, data in self.blobs.items()}
        files["oci-layout"] = as_json({"imageLayoutVersion": "1.0.0"})
        files["index.json"] = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests})
        files["manifest.json"] = as_json(self.docker)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(files):
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(files[name]), 0o644, 0
                tar.addfile(info, io.BytesIO(files[name]))
        unfinished.replace(path)
