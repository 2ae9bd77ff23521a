//! What a policy needs to know of a request to decide over it: whoever holds the request asks before it builds the action.

/// Whether a request's body must be at hand when it is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BodyNeed {
    /// Nobody looks at it.
    #[default]
    Nothing,
    /// What is in it may hold the request back; what is too long to be at hand is looked at as it streams past.
    Scanned,
    /// A rule depends on it: without the whole body the request can't be decided, so it is refused.
    Ruled,
}

/// What a decision over one request depends on beside its method, host, path and query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestNeeds {
    /// The body.
    pub body: BodyNeed,
    /// Names of the headers that rules look at, in lower case.
    pub headers: Vec<String>,
}
