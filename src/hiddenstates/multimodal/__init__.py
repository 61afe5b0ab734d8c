"""VL-T5 and VL-BART (Cho et al. 2021) on transformers' T5 and BART; importing this package registers them there."""

from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM

from hiddenstates.multimodal.configuration import VLBartConfig, VLT5Config
from hiddenstates.multimodal.vlbart import VLBartForConditionalGeneration, VLBartModel
from hiddenstates.multimodal.vlt5 import VLT5ForConditionalGeneration, VLT5Model

for _config, _model, _writer in (
    (VLT5Config, VLT5Model, VLT5ForConditionalGeneration),
    (VLBartConfig, VLBartModel, VLBartForConditionalGeneration),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModel.register(_config, _model, exist_ok=True)
    AutoModelForSeq2SeqLM.register(_config, _writer, exist_ok=True)

__all__ = [
    "VLBartConfig",
    "VLBartForConditionalGeneration",
    "VLBartModel",
    "VLT5Config",
    "VLT5ForConditionalGeneration",
    "VLT5Model",
]
