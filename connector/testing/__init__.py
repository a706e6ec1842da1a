"""What integrators and our own tests stand on: a clock that is moved, and the contract of every state store."""
