"""Fuzzing of one parser that looks for inputs which reach new lines of the program.

    pip install atheris
    PYTHONPATH=tests python -m faults.coverage_guided manifests -max_total_time=60

What stands behind the name of the parser are options of libFuzzer. The hypothesis tests beside this
file need nothing installed, and try far more kinds of changes an input.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mobilenetdet"]):
    from faults.parsers import PARSERS, WholeFiles


def main() -> None:
    """Tries a parser that needs no files of a run, until libFuzzer ends."""
    name, *options = sys.argv[1:]
    folder = Path(tempfile.mkdtemp())
    parser, corpus = PARSERS[name], folder / "corpus"
    corpus.mkdir()
    nowhere = folder / "nowhere"
    for index, seed in enumerate(parser.seeds(WholeFiles(nowhere, nowhere, nowhere, (), folder))):
        (corpus / str(index)).write_bytes(seed)
    path = folder / parser.file

    def try_one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            parser.parse(path)
        except (ValueError, OSError, SystemExit):
            pass

    atheris.Setup([sys.argv[0], *options, str(corpus)], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
