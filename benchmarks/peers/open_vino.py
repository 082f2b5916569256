"""OpenVINO on the twin's ONNX export, held to float32."""

import openvino

from benchmarks.jobs import Job
from benchmarks.peers.peer import Run, UnsupportedError
from benchmarks.twins.layout import from_channels_first, to_channels_first
from benchmarks.weights import Weights


class OpenVino:
    def infer(self, job: Job) -> Run:
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": job.threads,
            "NUM_STREAMS": 1,
        }
        model = core.read_model(job.path / "model.onnx")
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        x = to_channels_first(job.inputs(), job.network)
        request.set_input_tensor(openvino.Tensor(x))

        def output() -> Weights:
            request.infer()
            data = request.get_output_tensor().data
            return {"output": from_channels_first(data.copy(), job.network)}

        return Run(request.infer, output)

    def train(self, job: Job) -> Run:
        raise UnsupportedError("does not train")


PEER = OpenVino()
