//! The words in which dashboards are described: what is shown, in which unit, and from where it is bad.

/// A page of panels.
pub(super) struct Dashboard {
    /// Of its file and, after `toolweaver-`, of its address.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) sections: Vec<Section>,
}

/// Panels of one height under a title.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) height: u64,
    pub(super) panels: Vec<Panel>,
}

pub(super) struct Panel {
    pub(super) title: &'static str,
    /// What it shows, what is good, and what to do where it is not.
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// In the 24 columns of a dashboard.
    pub(super) width: u64,
    pub(super) queries: Vec<Query>,
    /// Yellow and red from these values on.
    pub(super) limits: Option<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One large number.
    Number,
    /// Curves over time.
    Lines,
    /// Curves on top of each other: parts of a whole.
    Stack,
    /// How often each latency occurred, over time.
    Heatmap,
    /// Which state each part was in, over time; 0 is good, 1 is between, 2 is bad.
    States,
    /// One row a process, one column a query; a legend is the name of its column.
    Processes,
    /// The alerts that fire now.
    Alerts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Plain numbers.
    Count,
    PerSecond,
    Seconds,
    Bytes,
    /// 0 to 1, shown as percent.
    Share,
    /// 1 or 0, in a table.
    YesNo,
}

pub(super) struct Query {
    /// In the language of Prometheus; `$of` stands for the labels that the variables of the dashboard choose.
    pub(super) promql: &'static str,
    /// What a curve is called: words, and labels as `{{label}}`.
    pub(super) legend: &'static str,
    /// Only the column of a table has one of its own.
    pub(super) unit: Option<Unit>,
}

pub(super) fn panel(kind: Kind, unit: Unit, title: &'static str, about: &'static str) -> Panel {
    let width = if kind == Kind::Number { 3 } else { 8 };
    Panel { title, about, kind, unit, width, queries: Vec::new(), limits: None }
}

pub(super) fn number(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Number, unit, title, about)
}

pub(super) fn lines(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Lines, unit, title, about)
}

pub(super) fn stack(unit: Unit, title: &'static str, about: &'static str) -> Panel {
    panel(Kind::Stack, unit, title, about)
}

impl Panel {
    pub(super) fn wide(mut self, width: u64) -> Self {
        self.width = width;
        self
    }

    pub(super) fn query(mut self, legend: &'static str, promql: &'static str) -> Self {
        self.queries.push(Query { promql, legend, unit: None });
        self
    }

    /// A column of a table.
    pub(super) fn column(mut self, legend: &'static str, unit: Unit, promql: &'static str) -> Self {
        self.queries.push(Query { promql, legend, unit: Some(unit) });
        self
    }

    /// Yellow and red from these values on; where yellow is above red, from these values down.
    pub(super) fn limits(mut self, yellow: f64, red: f64) -> Self {
        self.limits = Some((yellow, red));
        self
    }
}

impl Query {
    /// What Grafana is given, in one line.
    pub(super) fn expression(&self) -> String {
        let words: Vec<&str> = self.promql.split_whitespace().collect();
        words.join(" ").replace("$of", r#"namespace=~"$namespace",job=~"$job",instance=~"$instance""#)
    }
}
