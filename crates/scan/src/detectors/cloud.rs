//! Clouds and hosting: Alibaba, Tencent, DigitalOcean, Heroku, Cloudflare, databases as a service and others.

use super::judge::{hex_token, random_token, token};
use crate::detector::{Detector, Hint, Look, secret};

pub(super) const RULES: &[Detector] = &[
    secret("alibaba-access-key", &[Hint::Opens(&["LTAI"])], Look::From(r"\bLTAI[A-Za-z0-9]{12,26}\b", random_token)),
    secret("tencent-secret-id", &[Hint::Opens(&["AKID"])], Look::From(r"\bAKID[A-Za-z0-9]{28,36}\b", random_token)),
    secret("volcengine-access-key", &[Hint::Opens(&["AKLT"])], Look::From(r"\bAKLT[A-Za-z0-9_-]{40,52}", random_token)),
    secret(
        "baidu-key",
        &[Hint::Exact(&["bce-v3/ALTAK-"])],
        Look::From(r"bce-v3/ALTAK-[A-Za-z0-9]{21}/[a-f0-9]{40}", token),
    ),
    secret("yandex-key", &[Hint::Opens(&["AQVN"])], Look::From(r"\bAQVN[A-Za-z0-9_-]{35,38}", random_token)),
    secret(
        "yandex-token",
        &[Hint::Opens(&["y0_", "y1_", "y2_", "y3_"])],
        Look::From(r"\by[0-3]_[A-Za-z0-9_-]{50,}", random_token),
    ),
    secret(
        "yandex-token",
        &[Hint::Exact(&["t1.9eu", "t1.7eu"])],
        Look::From(r"\bt1\.[79]eu[A-Za-z0-9_-]{40,}={0,2}\.[A-Za-z0-9_-]{80,}={0,2}", token),
    ),
    secret(
        "yandex-key",
        &[Hint::Opens(&["YCAJ", "YCP", "YCN", "YCM", "YCO"])],
        Look::From(r"\bYC[A-Za-z0-9_-]{38}\b", random_token),
    ),
    secret("scaleway-key", &[Hint::Opens(&["SCW"])], Look::From(r"\bSCW[A-Z0-9]{17}\b", random_token)),
    secret(
        "digitalocean-token",
        &[Hint::Exact(&["dop_v1_", "doo_v1_", "dor_v1_", "dos_v1_"])],
        Look::From(r"do[oprs]_v1_[a-f0-9]{64}", token),
    ),
    secret("digitalocean-key", &[Hint::Opens(&["DO00", "DO80"])], Look::From(r"\bDO[08]0[A-Z0-9]{16}\b", random_token)),
    secret("heroku-key", &[Hint::Opens(&["HRKU-"])], Look::From(r"\bHRKU-[A-Za-z0-9_-]{36,}", token)),
    secret(
        "fly-token",
        &[Hint::Exact(&["fo1_", "fm1a_", "fm1r_", "fm2_"])],
        Look::From(r"\b(?:fo1_[A-Za-z0-9_-]{43}|fm1[ar]_[A-Za-z0-9+/]{80,}={0,3}|fm2_[A-Za-z0-9+/]{80,}={0,3})", token),
    ),
    secret("render-key", &[Hint::Opens(&["rnd_"])], Look::From(r"\brnd_[A-Za-z0-9]{26,40}\b", random_token)),
    secret(
        "netlify-token",
        &[Hint::Opens(&["nfp_", "nfo_", "nfc_", "nfu_", "nfb_"])],
        Look::From(r"\bnf[pocub]_[A-Za-z0-9]{36,40}\b", random_token),
    ),
    secret(
        "vercel-token",
        &[Hint::Exact(&["vercel_blob_rw_"])],
        Look::From(r"vercel_blob_rw_[A-Za-z0-9]{16,24}_[A-Za-z0-9]{28,34}", token),
    ),
    secret(
        "vercel-token",
        &[Hint::Opens(&["vcp_", "vci_", "vca_", "vcr_", "vck_"])],
        Look::From(r"\bvc[piark]_[A-Za-z0-9]{24,60}\b", random_token),
    ),
    secret("cloudflare-key", &[Hint::Exact(&["v1.0-"])], Look::From(r"\bv1\.0-[a-f0-9]{24}-[a-f0-9]{146}", token)),
    secret(
        "cloudflare-token",
        &[Hint::Opens(&["cfut_", "cfat_", "cfk_"])],
        Look::From(r"\bcf(?:ut|at|k)_[A-Za-z0-9_-]{40,60}", random_token),
    ),
    secret("supabase-token", &[Hint::Opens(&["sbp_"])], Look::From(r"\bsbp_(?:v0_)?[a-z0-9]{40}", random_token)),
    secret("supabase-token", &[Hint::Exact(&["sb_secret_"])], Look::From(r"\bsb_secret_[A-Za-z0-9_-]{20,}", token)),
    secret(
        "planetscale-token",
        &[Hint::Exact(&["pscale_"])],
        Look::From(r"pscale_(?:tkn|pw|oauth|otkn|app_secret)_[A-Za-z0-9_=.-]{32,64}", token),
    ),
    secret("neon-key", &[Hint::Opens(&["napi_"])], Look::From(r"\bnapi_[A-Za-z0-9]{40,68}\b", random_token)),
    secret("neon-password", &[Hint::Opens(&["npg_"])], Look::From(r"\bnpg_[A-Za-z0-9]{12,16}\b", random_token)),
    secret("aiven-password", &[Hint::Opens(&["AVNS_"])], Look::From(r"\bAVNS_[A-Za-z0-9_-]{15,24}", token)),
    secret(
        "mongodb-atlas-secret",
        &[Hint::Exact(&["mdb_sa_sk_"])],
        Look::From(r"\bmdb_sa_sk_[A-Za-z0-9_-]{40}", token),
    ),
    secret(
        "databricks-token",
        &[Hint::Opens(&["dapi", "dkea", "dsap", "dose", "docp"])],
        Look::From(r"\bd(?:api|kea|sap|ose|ocp)[a-f0-9]{32}(?:-\d{1,2})?\b", hex_token),
    ),
    secret("clickhouse-key", &[Hint::Opens(&["4b1d"])], Look::From(r"\b4b1d[A-Za-z0-9]{38}\b", random_token)),
    secret("confluent-secret", &[Hint::Exact(&["cflt"])], Look::From(r"\bcflt[A-Za-z0-9+/]{60}", random_token)),
    secret(
        "tailscale-key",
        &[Hint::Exact(&["tskey-"])],
        Look::From(
            r"tskey-(?:auth|api|client|scim|webhook|kek|sig)?-?[A-Za-z0-9]{8,}(?:CNTRL)?-[A-Za-z0-9]{16,}",
            token,
        ),
    ),
    secret(
        "ngrok-token",
        &[Hint::Word { digits: 2, bytes: 27 }],
        Look::From(r"\b2[A-Za-z0-9]{26}_[A-Za-z0-9]{20,23}\b", random_token),
    ),
    secret("akamai-token", &[Hint::Opens(&["akab-"])], Look::From(r"\bakab-[a-z0-9]{16}-[a-z0-9]{16}\b", token)),
    secret("deno-token", &[Hint::Opens(&["ddp_", "ddo_"])], Look::From(r"\bdd[po]_[A-Za-z0-9]{36}\b", random_token)),
    secret(
        "prisma-key",
        &[Hint::Exact(&["prisma+postgres://"])],
        Look::From(r"prisma\+postgres://[^\s?]+\?api_key=(eyJ[A-Za-z0-9_.-]+)", token),
    ),
    secret(
        "defined-networking-key",
        &[Hint::Exact(&["dnkey-"])],
        Look::From(r"\bdnkey-[A-Za-z0-9=_-]{26}-[A-Za-z0-9=_-]{52}", token),
    ),
    secret("scalingo-token", &[Hint::Opens(&["tk-us-"])], Look::From(r"\btk-us-[A-Za-z0-9_-]{48}", token)),
    secret("alibaba-sts-key", &[Hint::Opens(&["STS."])], Look::From(r"\bSTS\.[A-Za-z0-9]{16,64}\b", random_token)),
    secret(
        "cockroach-key",
        &[Hint::Opens(&["CCDB1_"])],
        Look::From(r"\bCCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}\b", token),
    ),
    secret(
        "datastax-token",
        &[Hint::Exact(&["AstraCS:"])],
        Look::From(r"\bAstraCS:[A-Za-z0-9]{20,}(?::[a-f0-9]{64})?", token),
    ),
    secret(
        "docker-swarm-key",
        &[Hint::Exact(&["SWMTKN-1-", "SWMKEY-1-"])],
        Look::From(r"\bSWM(?:TKN-1-[a-z0-9]{45,60}-[a-z0-9]{20,30}|KEY-1-[A-Za-z0-9+/]{40,50})", token),
    ),
    secret("elastic-key", &[Hint::Opens(&["essu_"])], Look::From(r"\bessu_[A-Za-z0-9_-]{50,200}={0,2}", random_token)),
    secret("exoscale-key", &[Hint::Opens(&["EXO"])], Look::From(r"\bEXO[a-z0-9]{24,30}\b", random_token)),
    secret("fly-token", &[Hint::Exact(&["FlyV1 "])], Look::From(r"\bFlyV1 [A-Za-z0-9=_,/+-]{80,}", token)),
    secret("upcloud-token", &[Hint::Opens(&["ucat_"])], Look::From(r"\bucat_[0-9A-Za-z]{24,32}\b", random_token)),
];
