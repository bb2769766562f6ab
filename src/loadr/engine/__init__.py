"""Room 4: worker processes, VUs, the flow compiler, the HTTP client, data feeders, the recorder."""
