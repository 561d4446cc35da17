//! A proxy between an HTTP client and its server that breaks chosen requests. One request a connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A fault of one request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// The connection is cut after this many bytes of its body.
    CutBody(usize),
    /// The proxy answers with this status. The server does not receive it.
    Answer(u16),
    /// It is read and never answered.
    Hang,
    /// The byte of its body at this offset is changed.
    FlipByte(usize),
    /// The server handles it, and the connection is cut after this many bytes of the response.
    CutAnswer(usize),
    /// The response stalls after this many bytes.
    StallAnswer(usize),
    /// The byte of the response at this offset is changed, counted from the status line.
    FlipAnswer(usize),
}

struct Rule {
    /// A part of the request line.
    request: &'static str,
    fault: Fault,
    times: usize,
}

/// The proxy. Closed when dropped.
pub struct Proxy {
    /// Where it listens, `http://host:port`.
    pub url: String,
    state: Arc<State>,
    _accept: JoinSet<()>,
}

struct State {
    server: String,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<String>>,
}

impl Proxy {
    /// A proxy to the server at `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State { server, rules: Mutex::default(), seen: Mutex::default() });
        let mut accept = JoinSet::new();
        let for_task = state.clone();
        accept.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = for_task.clone();
                // Tests break connections on purpose.
                connections.spawn(async move { drop(state.serve(client).await) });
            }
        });
        Ok(Self { url, state, _accept: accept })
    }

    /// Applies the fault to the next `times` requests whose request line contains `request`.
    pub fn breaks(&self, request: &'static str, times: usize, fault: Fault) {
        lock(&self.state.rules).push(Rule { request, fault, times });
    }

    /// Removes all faults.
    pub fn mend(&self) {
        lock(&self.state.rules).clear();
    }

    /// The number of requests whose request line contained this.
    pub fn seen(&self, request: &str) -> usize {
        lock(&self.state.seen).iter().filter(|line| line.contains(request)).count()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let (mut head, mut body) = (Vec::new(), Vec::new());
        let mut buffer = vec![0; 16 * 1024];
        while body.is_empty() {
            let got = client.read(&mut buffer).await?;
            if got == 0 {
                return Ok(());
            }
            head.extend_from_slice(&buffer[..got]);
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                body = head.split_off(end + 4);
                break;
            }
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let (line, headers) = text.split_once("\r\n").unwrap_or_default();
        lock(&self.seen).push(line.to_owned());
        let fault = self.fault(line);
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Answer(status)) => {
                let answer =
                    format!("HTTP/1.1 {status} Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes()).await?;
                client.shutdown().await?;
                // Read on: closing with unread data would reset the connection, and the answer be lost.
                copy(&mut client, &mut tokio::io::sink()).await?;
                return Ok(());
            }
            _ => {}
        }
        let mut server = TcpStream::connect(&self.server).await?;
        server.write_all(format!("{line}\r\nConnection: close\r\n{headers}").as_bytes()).await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let upward = async {
            let mut sent = 0;
            let mut piece = body;
            loop {
                match fault {
                    Some(Fault::CutBody(at)) if sent + piece.len() >= at => {
                        to_server.write_all(&piece[..at - sent]).await?;
                        return Ok::<_, std::io::Error>(true);
                    }
                    Some(Fault::FlipByte(at)) if (sent..sent + piece.len()).contains(&at) => {
                        piece[at - sent] ^= 1;
                    }
                    _ => {}
                }
                to_server.write_all(&piece).await?;
                sent += piece.len();
                let got = from_client.read(&mut buffer).await?;
                if got == 0 {
                    return Ok(false);
                }
                piece = buffer[..got].to_vec();
            }
        };
        let downward = async {
            match fault {
                Some(Fault::CutAnswer(at)) => {
                    copy(&mut (&mut from_server).take(at as u64), &mut to_client).await?;
                }
                Some(Fault::StallAnswer(at)) => {
                    copy(&mut (&mut from_server).take(at as u64), &mut to_client).await?;
                    std::future::pending::<()>().await;
                }
                fault => {
                    if let Some(Fault::FlipAnswer(at)) = fault {
                        copy(&mut (&mut from_server).take(at as u64), &mut to_client).await?;
                        to_client.write_u8(from_server.read_u8().await? ^ 1).await?;
                    }
                    copy(&mut from_server, &mut to_client).await?;
                    to_client.shutdown().await?;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        tokio::pin!(upward, downward);
        tokio::select! {
            cut = &mut upward => if !cut? { downward.await?; },
            done = &mut downward => done?,
        }
        Ok(())
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && line.contains(rule.request))?;
        rule.times -= 1;
        Some(rule.fault)
    }
}
