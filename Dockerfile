FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gifting gifting
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 --user-group gifting
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels 'gifting[postgresql]' && rm -r /wheels
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /home/gifting
ENV GIFTING_HOST=0.0.0.0 GIFTING_PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-m", "gifting.probe"]
# No Redis inside, and no secret made up: both must be given, in the environment, where no command line shows them.
ENTRYPOINT ["sh", "-c", ": \"${GIFTING_REDIS:?set GIFTING_REDIS to a redis:// URL}\" \"${GIFTING_SECRET:?set GIFTING_SECRET to 32 bytes or more}\"; exec gifting serve \"$@\"", "gifting"]
