"""What does it cost to run a service: its queries through the pooler, its probes, its callers' tokens, its checks?

make bench-running
make bench-running ARGS="ready query --rounds 40"
"""
