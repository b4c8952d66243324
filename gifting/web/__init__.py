"""What browsers load: the overlay, the room page and the JavaScript client, and the pictures of gifts."""
