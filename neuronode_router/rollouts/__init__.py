"""Guarded rollouts: a share of the requests tries another profile, is compared with the rest, and goes on or back.

It must not know where rollouts are kept, who acts on them or how requests are counted.
"""
