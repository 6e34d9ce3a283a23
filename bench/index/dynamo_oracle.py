#!/usr/bin/env python3
"""Compares our index's answers with those of Dynamo's RadixTree (its Python package) on the same events.

Without holes both must answer alike. That tree takes a removed block for the end of what lies behind it, and it does not count
copies: so copies are counted here before it, as Dynamo's own event filter does. How often it differs when caches have holes is told too.
"""
import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
INSTALL = "bench/index/install_dynamo.sh"
LOOKUPS_LEAST = 3000
SKIPPED = 0  # the status without Dynamo's packages: they are no part of what has to be installed


class Tree:
    """RadixTree behind a count of copies."""

    def __init__(self, radix_tree):
        self.tree = radix_tree()
        self.copies = {}  # worker: Counter of block names
        self.event = 0
        self.refused = 0  # events of blocks that it has lost

    def apply(self, worker, data):
        self.event += 1
        try:
            self.tree.apply_event(worker, json.dumps({"event_id": self.event, "data": data}).encode())
        except RuntimeError:
            self.refused += 1

    def store(self, worker, parent, blocks):
        self.copies.setdefault(worker, Counter()).update(name for name, _ in blocks)
        self.apply(worker, {"stored": {"parent_hash": parent, "blocks": [
            {"block_hash": name, "tokens_hash": content} for name, content in blocks]}})

    def remove(self, worker, name):
        copies = self.copies[worker]
        copies[name] -= 1
        if copies[name] == 0:
            del copies[name]
            self.apply(worker, {"removed": {"block_hashes": [name]}})

    def clear(self, worker):
        self.copies.pop(worker, None)
        self.tree.clear_all_blocks(worker)

    def match(self, contents):
        scores = self.tree.find_matches(contents).scores
        return {(worker[0] if isinstance(worker, tuple) else worker): blocks for worker, blocks in scores.items()}


def compare(lines, radix_tree):
    """(lookups, matches, [what differs], refused events) of one workload."""
    tree, lookups, matches, differences = Tree(radix_tree), 0, 0, []
    for line in lines:
        kind, *words = line.split()
        if kind == "S":
            blocks = [tuple(map(int, word.split(":"))) for word in words[2:]]
            tree.store(int(words[0]), None if words[1] == "-" else int(words[1]), blocks)
        elif kind == "R":
            tree.remove(int(words[0]), int(words[1]))
        elif kind == "C":
            tree.clear(int(words[0]))
        else:
            end = words.index("=")
            ours = {int(word.split(":")[0]): int(word.split(":")[1]) for word in words[end + 1:]}
            theirs = tree.match([int(word) for word in words[:end]])
            lookups += 1
            matches += len(ours)
            if ours != theirs:
                differences.append(f"lookup {lookups}: ours {dict(sorted(ours.items()))}, theirs {dict(sorted(theirs.items()))}")
    return lookups, matches, differences, tree.refused


def answers(program, trace, *flags):
    done = subprocess.run([program, trace, "--answers", *flags], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", type=Path, default=PROJECT / "examples/conversation_small.jsonl", help="(default: %(default)s)")
    parser.add_argument("--venv", type=Path, default=PROJECT / "build/venv-dynamo", help=f"made by {INSTALL} (default: %(default)s)")
    parser.add_argument("--program", type=Path, default=PROJECT / "build/release/bench/index/index_bench")
    arguments = parser.parse_args()
    os.environ.setdefault("DYN_LOG", "off")
    try:
        from dynamo._core import RadixTree
    except ImportError:
        python = arguments.venv / "bin/python"
        if python.is_file() and Path(sys.prefix).resolve() != arguments.venv.resolve():
            return subprocess.run([python, __file__, *sys.argv[1:]], check=False).returncode
        print(f"SKIPPED  no Dynamo to compare with; {INSTALL} installs it")
        return SKIPPED
    lookups, matches, differences, refused = compare(answers(arguments.program, arguments.trace), RadixTree)
    passed = not differences and not refused and lookups >= LOOKUPS_LEAST and matches >= lookups
    print(f"{'pass' if passed else 'FAIL'}  Dynamo's RadixTree answers {lookups:,} lookups with {matches:,} matches as our index does"
          + (f", but for {len(differences):,}" if differences else "")
          + (f", but it refused {refused:,} events" if refused else "")
          + (f", but {LOOKUPS_LEAST:,} lookups and as many matches are wanted" if lookups < LOOKUPS_LEAST or matches < lookups else ""))
    print("\n".join(differences[:3]), end="\n" if differences else "")
    lookups, _, differences, refused = compare(answers(arguments.program, arguments.trace, "--holes"), RadixTree)
    print(f"with holes it differs in {len(differences):,} of {lookups:,} lookups and refuses {refused:,} events"
          + (f", for instance in {differences[0][:300]}" if differences else ""))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
