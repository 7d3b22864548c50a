# The gateway, TorchServe and its worker in one image, as user 10001. `make image` builds it, from the wheels in dist.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS packages
# Which build of PyTorch, such as torch==2.13.0+cpu, of those that the builder's pip knows.
ARG TORCH=torch==2.13.0
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && python3 -m venv /app
COPY requirements-serve.lock /
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /app/bin/pip install --no-cache-dir --no-compile "${TORCH}" && \
    /app/bin/pip install --no-cache-dir --no-compile --no-deps --require-hashes -r /requirements-serve.lock
# What nobody runs there: tests, what others are generated from, stubs, and symbols, which in PyTorch alone are 0.1 GB.
# Symbols stay in libraries that have others packed beside them, as those were edited, and strip breaks them; and in CUDA's.
RUN cd /app/lib/python3.*/site-packages && \
    rm -rf torch/test torch/bin/*[Tt]est* torch/bin/protoc* torch/lib/lib*_test.so torch/lib/libbackend_with_compiler.so && \
    find sympy networkx numpy mpmath -type d -name tests -prune -exec rm -rf {} + && \
    find transformers/models '(' -name 'modular_*.py' -o -name 'convert_*.py' ')' -delete && \
    find . -name '*.pyi' -delete && \
    find . -type f -name '*.so' ! -path './numpy/*' ! -path './PIL/*' ! -path './*.libs/*' \
        ! -path './nvidia/*' ! -path './triton/*' ! -name '*cuda*' -exec strip --strip-unneeded {} +
# Python's own bytecode, as the image is read-only when it runs. What a server hardly ever imports is compiled when it is
# imported: of the models those that are no language models, and what else takes room.
ARG RARELY="torch/testing/_internal|transformers/(models/.*/(image|video|feature|processing|modeling)_|cli|exporters|pipelines)\
|sympy/(codegen|combinatorics|parsing/[^/]*|physics|stats|vector)/|numpy/(distutils|f2py|ma|polynomial)/|setuptools/\
|pygments/lexers/|dns/|huggingface_hub/(cli|inference)/"
RUN cd /app/lib/python3.*/site-packages && \
    { find . -name '*.py' | grep -Ev "^\./(${RARELY})" && grep -lE '(ForCausalLM|LMHeadModel)\(' transformers/models/*/modeling_*.py; } | \
    xargs -n 400 -P "$(nproc)" /app/bin/python -m compileall -q --invalidation-mode unchecked-hash
COPY dist/*.whl /dist/
RUN /app/bin/pip install --no-cache-dir --no-compile --no-deps --no-index /dist/*.whl && \
    cd /app/lib/python3.*/site-packages && \
    /app/bin/python -m compileall -q --invalidation-mode unchecked-hash adapter handlers torchbridge && \
    rm -rf pip pip-*.dist-info /app/bin/pip*

FROM ${BASE}
# Without a compiler (COMPILER=) steps are never compiled, and the image is smaller. Of g++ is left out what optimises whole
# programs, looks for faults in them, links them statically, measures them or compiles C. What compiles C is asked to
# prepare the assembler of compiled steps' weights, too, and there what compiles C++ does the same.
ARG COMPILER="g++"
RUN apt-get update && \
    apt-get install --yes --no-install-recommends tini ${COMPILER} && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* /usr/share/doc /usr/share/man /usr/share/locale \
        /usr/bin/*lto-dump* /usr/bin/*gcov* /usr/lib/gcc/*/*/lto1 /usr/lib/gcc/*/*/lib*san* \
        /usr/lib/*/lib?san.so* /usr/lib/*/libhwasan.so* /usr/lib/*/libubsan.so* \
        /usr/bin/*gold /usr/bin/*dwp /usr/bin/*gp-* /usr/bin/*gprof* /usr/lib/*/*gprofng* && \
    find /usr/lib -name '*.a' ! -name libgcc.a -size +64k -delete && \
    find /usr -name cc1 -exec ln -sf cc1plus {} ';' && \
    echo 'torchbridge:x:10001:10001::/var/lib/torchbridge:/usr/sbin/nologin' >> /etc/passwd && \
    echo 'torchbridge:x:10001:' >> /etc/group && \
    install -d -o 10001 -g 10001 -m 700 /var/lib/torchbridge
COPY --from=packages /app /app
# What servers keep is in a directory of its own below the volume, whose rights are whoever's made it. A container's
# loopback reaches nobody, so it listens at all of its addresses.
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/torchbridge \
    XDG_STATE_HOME=/var/lib/torchbridge \
    TORCHBRIDGE_HOST=0.0.0.0
VOLUME /var/lib/torchbridge
WORKDIR /var/lib/torchbridge
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s CMD ["/app/bin/python", "-m", "adapter.health_check"]
# The first process of a container inherits those whose own parent has ended.
ENTRYPOINT ["tini", "--", "torchbridge"]
CMD ["serve"]
