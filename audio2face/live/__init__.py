"""Live faces for engines: a live session paced by the clock, and its frames as OSC, Live Link Face and websocket."""
