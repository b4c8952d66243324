"""Where the keys of tokens come from: the secrets of this server, and the public keys of the host application."""
