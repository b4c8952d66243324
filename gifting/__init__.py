"""A real-time gifting server for live streams."""
