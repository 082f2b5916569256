"""ONNX Runtime on the twin's ONNX export."""

import onnxruntime

from benchmarks.jobs import Job
from benchmarks.peers.peer import Run, UnsupportedError
from benchmarks.twins.layout import from_channels_first, to_channels_first


class OnnxRuntime:
    def infer(self, job: Job) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            job.path / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        feed = {"x": to_channels_first(job.inputs(), job.network)}

        def step() -> list:
            return session.run(None, feed)

        return Run(step, lambda: {"output": from_channels_first(step()[0], job.network)})

    def train(self, job: Job) -> Run:
        raise UnsupportedError("does not train")


PEER = OnnxRuntime()
