"""Other people's container registries: names of images, the ways to log in, manifests and blobs by digest.

`reference` reads what people write, `challenge` what a registry answers to a stranger, `connection` sends requests with
the right token, `registry` reads manifests and blobs and believes nothing that its digest does not prove.
"""
