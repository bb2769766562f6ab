"""What `tools/generate_docs.py` makes: one module for each kind of region."""
