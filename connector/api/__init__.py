"""The models of the operator API `/api/v1`: what a person or a program of the operator writes and reads.

The node (`web/operator/`) and its client (`client/`) share them; their descriptions become the OpenAPI document. They know
nothing of HTTP, of the store or of the protocol's own messages.
"""
