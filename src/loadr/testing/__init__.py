"""Shipped for tests and demos: the demo target, a TCP proxy that cuts, an engine that is only a model."""
