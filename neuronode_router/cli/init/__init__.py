"""`neuronode init`: adds the plugin to a LiteLLM set-up that somebody has already.

It proposes, explains, and writes new files after consent. Nothing that exists is changed.
"""
