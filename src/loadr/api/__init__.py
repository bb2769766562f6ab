"""The controller's HTTP API: what it serves, and the client that `loadr run --controller` uses."""
