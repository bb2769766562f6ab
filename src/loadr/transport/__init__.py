"""The wire: links between agent and controller over gRPC or in memory, TLS, and the files that travel on them."""
