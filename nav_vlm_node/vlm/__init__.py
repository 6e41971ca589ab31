"""The model: one small protocol, BLIP-2 behind it, adapters, and the supervised engine process.

Nothing is imported here, so that `nav_vlm_node.vlm.protocol` and `nav_vlm_node.vlm.prompt` stay free of torch.
"""
