"""The use cases: gather what is needed, decide with one pure function, commit in one transaction.

participants   the contexts hosted here          catalog       what callers see, and what peers offer
offerings      assets, policies, definitions     negotiation   contracts, from request to finalisation
decisions      which act follows in a state      transfer      data, from request to completion
agreements     what was agreed, and its end      delivery      the outbox, posted
secrets        credentials, sealed at rest       timers        what waits for a moment
"""
