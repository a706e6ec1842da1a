-- Schema 6: what is held is counted, peer by peer.
CREATE INDEX process_held ON process (participant, peer, kind) WHERE is_held = 1;
