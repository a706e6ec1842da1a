"""Data plane signaling over HTTP, both sides: planes of others under our control plane, our data plane under the control plane of others.

entries   a plane of somebody else as it is kept, and how two planes prove themselves to each other
planes    the data planes that are registered for a participant (port `Planes`), and who may register
telling   what our control plane says to them, in their dialect
callers   whose call it is: proven before anything else is looked at
logins    what our own calls carry
flows     the flows that our data plane serves for others, as values
table     the calls of foreign control planes, and what they make of a flow
serving   what the built-in data plane asks and tells about such a flow
"""
