# kollama2 on CPUs, as a user without rights:
#
#   docker build -t kollama2 --build-arg TORCH_INDEX=ADDRESS .
#   docker run --rm -v kollama2-runs:/data/runs kollama2 run
#
# TORCH_INDEX is the address of PyTorch's index of CPU builds. Without it pip takes its default build,
# which brings some gigabytes of CUDA on x86-64.

FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
COPY constraints.txt /tmp/constraints.txt
RUN if [ -n "$TORCH_INDEX" ]; then \
        pip install -c /tmp/constraints.txt --index-url "$TORCH_INDEX" torch; \
    fi
COPY --from=build /wheels /tmp/wheels
RUN pip install -c /tmp/constraints.txt /tmp/wheels/*.whl \
    && useradd --create-home --uid 1000 kollama2 \
    && install -d -o kollama2 /data /data/runs
USER kollama2
WORKDIR /data
VOLUME /data/runs
ENTRYPOINT ["kollama2"]
CMD ["--help"]
