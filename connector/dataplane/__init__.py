"""The built-in data plane: what a consumer pulls, what a provider pushes, where it comes from and where it lands.

plane           BuiltInDataPlane: what the control plane drives        addresses   data addresses and tokens
pull            a request of a consumer, served                         push        a provider's sender
collect         the consumer's own people read what is theirs           inbox       a consumer's receiver
sources         local files and folders, described and opened           upstream    HTTP(S) sources, relayed
representation  ranges, conditions and digests in HTTP's words          streams     what is running, and how it is cut
"""
