"""The one way out: every address that a peer or an operator names is reached through here, vetted and bounded."""
