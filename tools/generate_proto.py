"""Makes the Python code of `proto/` with grpcio-tools, or checks that what is committed is what it would make.

    python tools/generate_proto.py            writes src/loadr/transport/generated/coordination_pb2.py and .pyi
    python tools/generate_proto.py --check    writes nothing; exit code 1 and the reason if they differ

Only messages are generated. The one method of the service is registered by its path, so that no service stub
(and no import of gRPC in generated code) is needed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO_ROOT = ROOT / "proto"
PROTO = "loadr/coordination/v1/coordination.proto"
GENERATED = ROOT / "src" / "loadr" / "transport" / "generated"


def generate() -> dict[str, str]:
    """File name → text. Raises `SystemExit` with the compiler's words when the `.proto` does not compile."""
    try:
        from grpc_tools import protoc
    except ImportError:
        raise SystemExit(
            "grpcio-tools is not installed; install the dev dependencies (make check does)"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        code = protoc.main(
            ["protoc", f"--proto_path={PROTO_ROOT}", f"--python_out={folder}", f"--pyi_out={folder}", PROTO]
        )
        if code:
            raise SystemExit(f"{PROTO} does not compile (see above)")
        made = Path(folder, PROTO).parent
        return {file.name: file.read_text() for file in sorted(made.iterdir())}


def find_drift(made: dict[str, str]) -> list[str]:
    """Names of the committed files that are missing or differ from ``made``."""
    return [
        name
        for name, text in made.items()
        if not (GENERATED / name).is_file() or (GENERATED / name).read_text() != text
    ]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    made = generate()
    if not arguments:
        for name, text in made.items():
            (GENERATED / name).write_text(text)
        return 0
    drift = find_drift(made)
    if drift:
        print(
            f"{', '.join(drift)} in {GENERATED.relative_to(ROOT)} is not what {PROTO} gives; "
            "run: python tools/generate_proto.py",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
