"""Image architectures: generators from a small map upwards, discriminators back down to it."""
