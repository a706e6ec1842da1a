"""The signaling listener: what planes reach. It is never the public one.

door      one request: who calls, the body, the answer, whatever happens
control   addresses of a control plane: reports, agreements, registration of data planes, in both dialects
data      addresses of a data plane under the control of others, in both dialects
"""
