"""The house's door on loopback: the HTTP API, and the front behind it for whoever comes in that way."""
