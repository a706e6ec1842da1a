"""Who calls us and how we prove who we are: what stands behind the ports `Verifier` and `TokenSource`."""
