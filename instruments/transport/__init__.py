"""How bytes reach devices: streams with deadlines, web requests, and transcripts of both."""
