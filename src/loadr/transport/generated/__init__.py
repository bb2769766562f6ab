"""Made from `proto/` by `tools/generate_proto.py`; not edited by hand."""
