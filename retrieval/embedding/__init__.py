"""The fingerprint network: patches, training, and the encoder that runs it."""
