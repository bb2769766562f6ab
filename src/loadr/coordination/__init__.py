"""Room 3: messages, events, effects, the controller core and the agent core. No IO, no clock, no randomness."""
