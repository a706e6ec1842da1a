"""What participants' wallets answer to peers and issuers: DID documents, presentations, deliveries, tokens."""
