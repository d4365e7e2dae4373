"""In what numbers networks multiply."""

import torch


def compute_type(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it in hardware (a fit then takes about half the time), else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32
