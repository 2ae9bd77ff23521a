//! Model providers and what is built around them.

use super::judge::{hex_token, random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret("replicate-token", &[Hint::Opens(&["r8_"])], Look::From(r"\br8_[A-Za-z0-9]{37}\b", random_token)),
    secret("groq-key", &[Hint::Opens(&["gsk_"])], Look::From(r"\bgsk_[A-Za-z0-9]{48,56}\b", random_token)),
    secret("xai-key", &[Hint::Opens(&["xai-"])], Look::From(r"\bxai-(?:token-)?[A-Za-z0-9_-]{70,90}", random_token)),
    secret("perplexity-key", &[Hint::Opens(&["pplx-"])], Look::From(r"\bpplx-[A-Za-z0-9]{48,56}\b", random_token)),
    secret(
        "langsmith-key",
        &[Hint::Opens(&["lsv2_"])],
        Look::From(r"\blsv2_(?:pt|sk|ak)_[a-fA-F0-9]{32}_[a-fA-F0-9]{10}\b", token),
    ),
    secret(
        "langfuse-key",
        &[Hint::Opens(&["sk-lf-"])],
        Look::From(r"\bsk-lf-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}\b", token),
    ),
    secret(
        "pinecone-key",
        &[Hint::Opens(&["pcsk_"])],
        Look::From(r"\bpcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{55,66}\b", token),
    ),
    secret("nvidia-key", &[Hint::Opens(&["nvapi-"])], Look::From(r"\bnvapi-[A-Za-z0-9_-]{60,70}", token)),
    secret("cerebras-key", &[Hint::Opens(&["csk-"])], Look::From(r"\bcsk-[a-z0-9]{46,52}\b", random_token)),
    secret("elevenlabs-key", &[Hint::Opens(&["sk_"])], Look::From(r"\bsk_[a-f0-9]{48}\b", hex_token)),
    secret(
        "tavily-key",
        &[Hint::Opens(&["tvly-"])],
        Look::From(r"\btvly-(?:dev-|prod-)?[A-Za-z0-9_-]{32,}", random_token),
    ),
    secret("firecrawl-key", &[Hint::Opens(&["fc-"])], Look::From(r"\bfc-[a-f0-9]{32}\b", hex_token)),
    secret("jina-key", &[Hint::Opens(&["jina_"])], Look::From(r"\bjina_[A-Za-z0-9_-]{56,64}", random_token)),
    secret(
        "apify-token",
        &[Hint::Opens(&["apify_"])],
        Look::From(r"\bapify_(?:api|proxy|ui)_[A-Za-z0-9-]{34,40}\b", random_token),
    ),
    secret("voyage-key", &[Hint::Opens(&["pa-"])], Look::From(r"\bpa-[A-Za-z0-9_-]{43}", random_token)),
    secret("fireworks-key", &[Hint::Opens(&["fw_"])], Look::From(r"\bfw_[A-Za-z0-9]{22,24}\b", random_token)),
    secret("together-key", &[Hint::Opens(&["tgp_v1_"])], Look::From(r"\btgp_v1_[A-Za-z0-9_-]{43}", token)),
    secret("runpod-key", &[Hint::Opens(&["rpa_"])], Look::From(r"\brpa_[A-Za-z0-9]{40,50}\b", random_token)),
    secret("modal-token", &[Hint::Opens(&["ak-", "as-"])], Look::From(r"\ba[ks]-[A-Za-z0-9]{22}\b", random_token)),
    secret(
        "wandb-key",
        &[Hint::Exact(&["wandb_v1_", "wandb_v2_"])],
        Look::From(r"\bwandb_v\d_[A-Za-z0-9_]{70,}", token),
    ),
    secret("llamacloud-key", &[Hint::Opens(&["llx-"])], Look::From(r"\bllx-[A-Za-z0-9]{48}\b", random_token)),
    secret("adafruit-key", &[Hint::Opens(&["aio_"])], Look::From(r"\baio_[A-Za-z0-9]{28}\b", random_token)),
    secret("cartesia-key", &[Hint::Opens(&["sk_car_"])], Look::From(r"\bsk_car_[A-Za-z0-9_]{20,30}\b", random_token)),
    secret("brave-key", &[Hint::Opens(&["BSA"])], Look::From(r"\bBSA[A-Za-z0-9_-]{24,40}\b", random_token)),
    secret(
        "devin-key",
        &[Hint::Exact(&["cog_", "apk_"])],
        Look::From(r"\b(?:cog_[a-z2-7]{52}|apk_[A-Za-z0-9+/]{80,100}={0,2})", random_token),
    ),
];
