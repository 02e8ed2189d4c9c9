"""The gRPC service: speech in, blend-shape weights out, wire-compatible with NVIDIA's Audio2Face-3D clients."""
