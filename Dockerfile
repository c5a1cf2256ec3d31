# mobilenetdet on the CPU: docker build -t mobilenetdet .
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" mobilenetdet predict photo.jpg
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY mobilenetdet mobilenetdet
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir '.[litert]'

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
# Whoever runs it, as --user says, may write what is kept between two commands.
RUN useradd --uid 1000 detector && install -d -m 1777 /cache
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/cache \
    XDG_CACHE_HOME=/cache \
    MPLCONFIGDIR=/cache/matplotlib \
    NO_ALBUMENTATIONS_UPDATE=1
USER 1000
WORKDIR /work
ENTRYPOINT ["mobilenetdet"]
CMD ["--help"]
