"""Everybody who trains: hookrl and its peers, each translating hookrl's config into its own.

The scripts in the manner of CleanRL and of PureJaxRL are our own and plain: one algorithm from top
to bottom.
"""
