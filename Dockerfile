FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY gifting gifting
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 gifting
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels gifting && rm -r /wheels
USER gifting
WORKDIR /home/gifting
# No Redis inside: GIFTING_REDIS and GIFTING_SECRET are required.
ENV GIFTING_HOST=0.0.0.0 GIFTING_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["sh", "-c", "exec gifting serve --redis \"${GIFTING_REDIS:?set GIFTING_REDIS to a redis:// URL}\" \"$@\"", "gifting"]
