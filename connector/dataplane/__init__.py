"""The built-in data plane: what a consumer pulls, what a provider pushes, where it comes from and where it lands.

plane           BuiltInDataPlane: what the control plane drives and the routes call
pull            a consumer's request, served                   collect    the consumer's own people read what is theirs
push            a provider's sender                            receive    a consumer's receiver
cargo           what a push carries                            inbox      its files
sending         one request of a push                          shelf      folders that have arrived
folders         a folder as one push
deposit         data put into a store that a peer names        sinks      what every such store can do
s3, azure       the requests of an upload to each kind of them
events          streams of events, read and published         jetstream  NATS, spoken to
sources         local files and folders                        upstream   HTTP(S) sources, relayed
objects         objects in the operators' stores               manifests  what a folder or a prefix holds
fetch           a whole pull, into the inbox
addresses       data addresses and tokens                      streams    what is running, and how it is cut
lanes           how many streams, and how fast              kernel     what the kernel moves by itself
workers         processes that move bytes, seen from here   remote     the control plane, seen from there
channel         calls between the two
representation  ranges, conditions, digests as HTTP says them  disk       files without holding up the event loop
"""
