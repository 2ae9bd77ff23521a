//! `cedar-policy`, in process, with the request made beforehand.

use cedar_policy::{Authorizer, Context, Decision, Entities, PolicySet, Request};

use crate::{ACTIONS, Action, Contender};

const RULES: &str = r#"
permit(principal, action == Action::"read", resource);
forbid(principal, action == Action::"read", resource) when {
  context.path like "*/.ssh/*" || context.path like "*/.aws/*" || context.path like "*/.gnupg/*"
  || context.path like "*/.kube/*" || context.path like "*/.env"
};
permit(principal, action == Action::"connect", resource) when {
  context.host like "*.openai.com" || context.host like "*.anthropic.com" || context.host == "api.github.com"
  || context.host == "github.com" || context.host == "raw.githubusercontent.com" || context.host == "registry.npmjs.org"
  || context.host == "pypi.org" || context.host == "crates.io"
};
permit(principal, action == Action::"call", resource);
forbid(principal, action == Action::"call", resource) when {
  ["shell_exec", "run_command", "raw_file_write", "raw_file_delete"].contains(context.tool)
};
"#;

pub fn contenders() -> Vec<Contender> {
    let one = |(what, action, allowed): (&str, Action, bool)| {
        let (name, context) = match action {
            Action::Read(path) => ("read", serde_json::json!({ "path": path })),
            Action::Connect(host) => ("connect", serde_json::json!({ "host": host })),
            Action::Tool(tool) => ("call", serde_json::json!({ "tool": tool })),
        };
        let request = Request::new(
            r#"Agent::"me""#.parse().unwrap(),
            format!(r#"Action::"{name}""#).parse().unwrap(),
            r#"Machine::"here""#.parse().unwrap(),
            Context::from_json_value(context, None).unwrap(),
            None,
        )
        .unwrap();
        let (policies, entities): (PolicySet, _) = (RULES.parse().unwrap(), Entities::empty());
        let authorizer = Authorizer::new();
        let ask = Box::new(move || {
            let response = authorizer.is_authorized(std::hint::black_box(&request), &policies, &entities);
            (response.decision() == Decision::Allow, None)
        });
        Contender { engine: "cedar-policy", what: what.to_owned(), ask, allowed }
    };
    ACTIONS.into_iter().map(one).collect()
}
